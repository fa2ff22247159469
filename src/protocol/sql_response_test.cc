#include "protocol/sql_response.h"

#include <gtest/gtest.h>

#include <limits>

#include "protocol/json_reader.h"

namespace kalamdb::protocol {
namespace {

using model::TypeTag;
using model::ValueView;

const Field kFields[] = {{"id", {TypeTag::kBigInt}, kPrimaryKeyFlag | kNotNullFlag | kUniqueFlag},
                         {"body", {TypeTag::kText}}};

ValueView cell(size_t row, size_t column) {
  if (column == 0) return static_cast<int64_t>(row + 1);
  return row == 0 ? ValueView(std::string_view("hi")) : ValueView(model::Null{});
}

TEST(SqlResponse, RowsOfAQuery) {
  SqlResponseWriter writer;
  writer.begin_result(kFields);
  writer.add_rows(1, cell);
  writer.add_rows(1, [](size_t, size_t column) { return cell(1, column); });
  writer.end_result("alice");
  writer.finish(1234);
  EXPECT_EQ(writer.take(),
            R"json({"status":"success","results":[{"schema":[{"name":"id","data_type":"BigInt","index":0,)json"
            R"json("flags":["pk","nn","uq"]},{"name":"body","data_type":"Text","index":1}],)json"
            R"json("rows":[["1","hi"],["2",null]],"row_count":2,"as_user":"alice"}],"took":1.234})json");
}

TEST(SqlResponse, ABatchHasOneResultForEachStatement) {
  SqlResponseWriter writer;
  writer.add_message_result(0, "Namespace 'x' created successfully", "root");
  writer.add_message_result(3, "Inserted 3 row(s)", "root");
  writer.begin_result(kFields);
  writer.end_result("bob", 7);
  writer.finish(2000);
  EXPECT_EQ(
      writer.take(),
      R"json({"status":"success","results":[)json"
      R"json({"row_count":0,"message":"Namespace 'x' created successfully","as_user":"root"},)json"
      R"json({"row_count":3,"message":"Inserted 3 row(s)","as_user":"root"},)json"
      R"json({"schema":[{"name":"id","data_type":"BigInt","index":0,"flags":["pk","nn","uq"]},)json"
      R"json({"name":"body","data_type":"Text","index":1}],"rows":[],"row_count":7,"as_user":"bob"}],"took":2.0})json");
}

TEST(SqlResponse, ErrorsKeepWhatRanBefore) {
  SqlResponseWriter writer;
  writer.add_message_result(1, "Inserted 1 row(s)", "a");
  writer.begin_result(kFields);
  writer.add_rows(2, cell);
  writer.finish_error({"SQL_EXECUTION_ERROR", 400, "Statement 2 failed"}, 500, "SELECT \"x\"");
  EXPECT_EQ(
      writer.take(),
      R"json({"status":"error","results":[{"row_count":1,"message":"Inserted 1 row(s)","as_user":"a"}],"took":0.5,)json"
      R"json("error":{"code":"SQL_EXECUTION_ERROR","message":"Statement 2 failed","details":"SELECT \"x\""}})json");
}

TEST(SqlResponse, ErrorInTheFirstResultLeavesNone) {
  SqlResponseWriter writer;
  writer.begin_result(kFields);
  writer.add_rows(2, cell);
  writer.finish_error({"TIMEOUT", 408, "late"}, 0);
  EXPECT_EQ(writer.take(),
            R"json({"status":"error","results":[],"took":0.0,"error":{"code":"TIMEOUT","message":"late"}})json");
  EXPECT_EQ(sql_error_body("EMPTY_SQL", "No SQL statements provided", 10),
            R"json({"status":"error","results":[],"took":0.01,)json"
            R"json("error":{"code":"EMPTY_SQL","message":"No SQL statements provided"}})json");
}

TEST(SqlResponse, PartsOfAStreamMakeOneDocument) {
  SqlResponseWriter writer;
  std::string body;
  writer.begin_result(kFields);
  for (size_t part = 0; part < 100; ++part) {
    writer.add_rows(10, [](size_t, size_t column) { return cell(0, column); });
    if (part % 7 == 0) body += writer.take_part();
  }
  EXPECT_EQ(writer.rows_in_result(), 1000U);
  writer.end_result("a");
  writer.finish(1);
  body += writer.take();
  EXPECT_TRUE(body.ends_with(
      R"json(["1","hi"]],"row_count":1000,"as_user":"a"}],"took":0.001,"status":"success","error":null})json"));
  const auto parsed = parse_json(body);
  ASSERT_TRUE(parsed);
  EXPECT_EQ((*parsed)["results"].at(0)["rows"].get_array().size(), 1000U);
}

TEST(SqlResponse, AStreamThatFailsSaysSoAtItsEnd) {
  SqlResponseWriter writer;
  writer.begin_result(kFields);
  writer.add_rows(1, cell);
  std::string body = writer.take_part();
  writer.add_rows(1, cell);
  writer.finish_error({"TIMEOUT", 408, "late"}, 0);
  body += writer.take();
  const auto parsed = parse_json(body);
  ASSERT_TRUE(parsed) << body;
  EXPECT_EQ((*parsed)["results"].at(0)["rows"].get_array().size(), 2U);
  EXPECT_EQ(std::string_view((*parsed)["status"]), "error");
  EXPECT_EQ(std::string_view((*parsed)["error"]["code"]), "TIMEOUT");
}

TEST(SqlResponse, ColumnsWithNotFiniteNumbersAreNamed) {
  const Field fields[] = {{"x", {TypeTag::kDouble}}, {"y", {TypeTag::kDouble}}};
  SqlResponseWriter writer;
  writer.begin_result(fields);
  writer.add_rows(2, [](size_t row, size_t column) -> ValueView {
    if (row == 1 && column == 1) return std::numeric_limits<double>::quiet_NaN();
    return 1.5;
  });
  writer.end_result("a");
  writer.finish(0);
  EXPECT_EQ(
      writer.take(),
      R"json({"status":"success","results":[{"schema":[{"name":"x","data_type":"Double","index":0},)json"
      R"json({"name":"y","data_type":"Double","index":1}],"rows":[[1.5,1.5],[1.5,null]],"row_count":2,"as_user":"a",)json"
      R"json("warnings":["Column 'y' holds NaN or infinite values, which JSON cannot show; they are null here"]}],)json"
      R"json("took":0.0})json");
}

}  // namespace
}  // namespace kalamdb::protocol
