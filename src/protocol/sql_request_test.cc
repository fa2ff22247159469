#include "protocol/sql_request.h"

#include <gtest/gtest.h>

namespace kalamdb::protocol {
namespace {

using model::Value;

std::string error_of(const std::string& body) {
  const auto request = parse_sql_request(body);
  return request ? "" : request.error().message;
}

TEST(SqlRequest, FieldsAndTheirDefaults) {
  const auto request = parse_sql_request(R"({"sql":"SELECT 1","unknown":{"a":[1]}})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->sql, "SELECT 1");
  EXPECT_FALSE(request->params);
  EXPECT_FALSE(request->namespace_id);
  const auto nulls = parse_sql_request(R"({"sql":"","params":null,"namespace_id":null})");
  ASSERT_TRUE(nulls);
  EXPECT_FALSE(nulls->params);
  EXPECT_FALSE(nulls->namespace_id);
  EXPECT_EQ(parse_sql_request(R"({"namespace_id":"app","sql":"x"})")->namespace_id, "app");
}

TEST(SqlRequest, ParametersKeepTheirTypes) {
  const auto request =
      parse_sql_request(R"({"sql":"x","params":[null,true,-3,2.5,"tëxt",[1,2.5],[],{"a":[1,"b"]},["x"],[123456789]]})");
  ASSERT_TRUE(request);
  const std::vector<Value> expected = {model::Null{},
                                       true,
                                       int64_t{-3},
                                       2.5,
                                       std::string("tëxt"),
                                       std::vector<float>{1.0F, 2.5F},
                                       std::vector<float>{},
                                       std::string(R"({"a":[1,"b"]})"),
                                       std::string(R"(["x"])"),
                                       std::string("[123456789]")};
  EXPECT_EQ(*request->params, expected);
}

TEST(SqlRequest, ErrorsNameTheField) {
  EXPECT_EQ(error_of("{"), "Invalid JSON payload: the text is not well-formed JSON");
  EXPECT_EQ(error_of(""), "Invalid JSON payload: the text is empty");
  EXPECT_EQ(error_of("[]"), "Invalid JSON payload: it must be an object");
  EXPECT_EQ(error_of("{}"), "Invalid JSON payload: missing field `sql`");
  EXPECT_EQ(error_of(R"({"sql":1})"), "Invalid JSON payload: `sql` must be a string");
  EXPECT_EQ(error_of(R"({"sql":"a","sql":"b"})"), "Invalid JSON payload: duplicate field `sql`");
  EXPECT_EQ(error_of(R"({"sql":"a","params":{}})"), "Invalid JSON payload: `params` must be an array");
  EXPECT_EQ(error_of("{\"sql\":\"\xFF\"}"), "Invalid JSON payload: the text is not UTF-8");
  EXPECT_EQ(error_of(R"({"sql":"a","params":[1,18446744073709551615]})"),
            "Parameter $2 invalid: an integer of more than 64 bits with sign must be sent as a string");
  EXPECT_FALSE(error_of(R"({"sql":"a"} x)").empty());
}

TEST(SqlRequest, NestingIsBounded) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_sql_request(R"({"sql":"a","params":)" + nested(9) + "}", 10));
  const auto deep = parse_sql_request(R"({"sql":"a","params":)" + nested(10) + "}", 10);
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().message, "Invalid JSON payload: nested deeper than 10 levels");
  EXPECT_FALSE(parse_sql_request(R"({"sql":"a","params":)" + nested(100'000) + "}"));
}

TEST(SqlRequest, BodiesWithAndWithoutSpareCapacityReadTheSame) {
  std::string body = R"({"sql":"SELECT 1","params":["a"]})";
  body.shrink_to_fit();
  const auto tight = parse_sql_request(body);
  body.reserve(body.size() + 200);
  const auto roomy = parse_sql_request(body);
  ASSERT_TRUE(tight && roomy);
  EXPECT_EQ(tight->sql, roomy->sql);
  EXPECT_EQ(*tight->params, *roomy->params);
}

TEST(SqlRequest, MultipartParams) {
  EXPECT_EQ(parse_params("[1]")->at(0), Value(int64_t{1}));
  EXPECT_EQ(parse_params("{}").error().message, "Params must be a JSON array");
  EXPECT_EQ(parse_params("[").error().message, "Invalid params JSON: the text is not well-formed JSON");
  EXPECT_EQ(parse_params("{}").error().code, ErrorCode::kInvalidParameter);
}

TEST(SqlRequest, ParameterLimits) {
  EXPECT_TRUE(check_params({Value(true), Value(std::string(10, 'x'))}, 2, 10));
  const auto many = check_params({Value(true), Value(true), Value(true)}, 2, 10);
  EXPECT_EQ(many.error().code, ErrorCode::kParamCountExceeded);
  EXPECT_EQ(many.error().message, "Parameter count exceeded: maximum 2 parameters allowed, got 3");
  const auto large = check_params({Value(true), Value(std::string(11, 'x'))}, 2, 10);
  EXPECT_EQ(large.error().code, ErrorCode::kParamSizeExceeded);
  EXPECT_EQ(large.error().message, "Parameter size exceeded: parameter at index 1 is 11 bytes (max 10 bytes)");
}

}  // namespace
}  // namespace kalamdb::protocol
