#include "cli/import.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cctype>

#include "cli/import_batch.h"
#include "cli/import_columns.h"
#include "cli/import_report.h"
#include "cli/import_sender.h"
#include "cli/import_source.h"
#include "cli/json.h"
#include "cli/output.h"
#include "cli/text.h"

namespace kalamdb::cli {

namespace ondemand = simdjson::ondemand;
namespace dom = simdjson::dom;

namespace {

// The table's name in two parts, lower case; the first is empty when only a table is named.
struct TableName {
  std::string schema;
  std::string table;

  std::string text() const { return schema.empty() ? table : schema + '.' + table; }
};

Result<TableName> parse_table(std::string_view text) {
  TableName name;
  const size_t dot = text.find('.');
  if (dot != std::string_view::npos) name.schema = text.substr(0, dot);
  name.table = dot == std::string_view::npos ? text : text.substr(dot + 1);
  for (std::string* part : {&name.schema, &name.table}) {
    for (char& c : *part) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') {
        return fail(ErrorCode::kInvalidInput, fmt::format("'{}' is not a table; write it as namespace.table", text));
      }
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  if (name.table.empty()) return fail(ErrorCode::kInvalidInput, "the table has no name");
  return name;
}

// The columns that rows can be written to, in the table's order.
Result<ImportColumns> read_columns(Session& session, const TableName& name) {
  std::string sql = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ";
  append_sql_string(sql, name.table);
  sql += " AND table_schema = ";
  append_sql_string(sql, name.schema.empty() ? "default" : name.schema);
  sql += " ORDER BY ordinal_position";
  KALAM_TRY(const HttpResponse response, session.sql(sql));
  if (response.status != 200) return fail(ErrorCode::kInvalidSql, describe_failure(response));
  dom::parser parser;
  dom::element root;
  std::vector<ImportColumn> columns;
  if (parser.parse(response.body).get(root) == simdjson::SUCCESS) {
    const auto results = array_member(root, "results");
    for (const dom::element row : results.empty() ? results : array_member(results[0], "rows")) {
      std::string_view column;
      std::string_view type;
      if (row.at(0).get(column) != simdjson::SUCCESS || row.at(1).get(type) != simdjson::SUCCESS) continue;
      if (!column.starts_with('_')) columns.push_back({std::string(column), column_class(type)});
    }
  }
  if (columns.empty()) {
    return fail(ErrorCode::kTableNotFound, fmt::format("there is no table {} that you may use", name.text()));
  }
  return ImportColumns(std::move(columns));
}

std::string not_a_value(std::string_view text, ColumnClass type) {
  const char* wanted = type == ColumnClass::kInteger   ? "a whole number"
                       : type == ColumnClass::kNumber  ? "a number"
                       : type == ColumnClass::kBoolean ? "true or false"
                       : type == ColumnClass::kTime    ? "a date or time"
                                                       : "bytes";
  return fmt::format("'{}' is not {}", text.substr(0, 100), wanted);
}

// Whether nothing follows the value that was read.
bool is_at_end(ondemand::document& document) { return document.current_location().error() == simdjson::OUT_OF_BOUNDS; }

// Turns the records of a file into rows of the builder.
class Importer {
 public:
  Importer(const ImportColumns& columns, const ImportOptions& options, ImportReport& report, ImportSender& sender,
           BatchBuilder& builder)
      : columns_(columns), options_(options), report_(report), sender_(sender), builder_(builder) {}

  Result<> read_json_lines(InputBuffer& input) {
    LineReader reader(input);
    while (!sender_.failed()) {
      KALAM_TRY(const bool more, reader.next(record_));
      if (!more) break;
      begin(input);
      ondemand::document document;
      // The buffer is readable past the line, which is what the parser asks for.
      auto error =
          parser_.iterate(record_.text.data(), record_.text.size(), record_.text.size() + InputBuffer::kPadding)
              .get(document);
      ondemand::object object;
      if (!error) error = document.get_object().get(object);
      if (!error) error = read_object(object);
      if (!error && !is_at_end(document)) error = simdjson::TRAILING_CONTENT;
      if (error) refuse({}, fmt::format("not a JSON object: {}", simdjson::error_message(error)));
      end();
    }
    return {};
  }

  Result<> read_csv(InputBuffer& input) {
    CsvReader reader(input);
    std::vector<CsvField> fields;
    std::string problem;
    KALAM_TRY(const bool any, reader.next(record_, fields, problem));
    if (!any) return {};
    if (!problem.empty()) return fail(ErrorCode::kInvalidInput, "line 1, the header: " + problem);
    KALAM_CHECK(read_header(fields));
    while (!sender_.failed()) {
      KALAM_TRY(const bool more, reader.next(record_, fields, problem));
      if (!more) break;
      begin(input);
      if (!problem.empty()) {
        refuse({}, problem);
      } else if (fields.size() != header_.size()) {
        refuse({}, fmt::format("{} fields, where the header has {}", fields.size(), header_.size()));
      } else {
        for (size_t i = 0; i < fields.size(); ++i) read_field(header_[i], fields[i]);
      }
      end();
    }
    return {};
  }

 private:
  // What a field of the file is for. A column that is only the user's name is not one of the table's.
  struct Target {
    std::string name;
    std::optional<size_t> column;
    bool is_user = false;
  };

  void begin(const InputBuffer& input) {
    report_.add_read();
    if (++records_ % 256 == 0) report_.set_bytes_read(input.consumed_bytes());
    refused_ = false;
    user_.clear();
    given_ = 0;
    hint_ = 0;
    builder_.start_row();
  }

  void refuse(std::string_view column, std::string_view reason) {
    if (!std::exchange(refused_, true)) report_.add_refused(record_.line, column, reason, record_.text);
  }

  void end() {
    if (refused_) return;
    if (!options_.as_user_column.empty() && user_.empty()) {
      return refuse(options_.as_user_column, "names no user to write the row as");
    }
    if (given_ == 0) return refuse({}, "has no value for any column");
    if (!builder_.end_row(user_, record_.line, record_.text)) refuse({}, "too large for a statement of 1 MiB");
  }

  simdjson::error_code read_object(ondemand::object& object) {
    for (auto field : object) {
      std::string_view key;
      ondemand::value value;
      if (const auto error = field.unescaped_key().get(key)) return error;
      if (const auto error = field.value().get(value)) return error;
      const bool is_user = !options_.as_user_column.empty() && key == options_.as_user_column;
      const auto column = columns_.find(key, hint_);
      if (!column && !is_user) {
        refuse(key, "the table has no such column");
        return simdjson::SUCCESS;
      }
      if (const auto error = read_value(value, key, column, is_user)) return error;
      if (refused_) return simdjson::SUCCESS;
    }
    return simdjson::SUCCESS;
  }

  simdjson::error_code read_value(ondemand::value& value, std::string_view key, std::optional<size_t> column,
                                  bool is_user) {
    ondemand::json_type type;
    if (const auto error = value.type().get(type)) return error;
    if (is_user && type != ondemand::json_type::string) {
      refuse(key, "a user's name is a string");
      return simdjson::SUCCESS;
    }
    const ColumnClass wanted = column ? columns_[*column].type : ColumnClass::kText;
    std::string& out = builder_.cell();
    std::string_view text;
    bool fits = true;
    switch (type) {
      case ondemand::json_type::string:
        if (const auto error = value.get_string().get(text)) return error;
        if (is_user) user_ = text;
        if (column) fits = append_text_literal(out, wanted, text);
        break;
      case ondemand::json_type::number:
        text = value.raw_json_token();
        while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
        if (!is_number(text)) return simdjson::NUMBER_ERROR;
        fits = append_number_literal(out, wanted, text);
        break;
      case ondemand::json_type::boolean: {
        bool flag = false;
        if (const auto error = value.get_bool().get(flag)) return error;
        text = flag ? "true" : "false";
        fits = wanted == ColumnClass::kBoolean || wanted == ColumnClass::kText;
        if (fits) fits = append_text_literal(out, wanted, text);
        break;
      }
      case ondemand::json_type::null:
        if (!value.is_null()) return simdjson::N_ATOM_ERROR;
        out += "NULL";
        break;
      default:
        if (const auto error = raw_json(value, type).get(text)) return error;
        fits = wanted == ColumnClass::kBytes ? append_bytes_literal(out, text)
                                             : wanted == ColumnClass::kText && append_text_literal(out, wanted, text);
    }
    if (!fits) {
      refuse(key, not_a_value(text, wanted));
    } else if (column) {
      close_cell(*column);
    }
    return simdjson::SUCCESS;
  }

  static simdjson::simdjson_result<std::string_view> raw_json(ondemand::value& value, ondemand::json_type type) {
    if (type == ondemand::json_type::array) {
      ondemand::array array;
      if (const auto error = value.get_array().get(array)) return error;
      return array.raw_json();
    }
    ondemand::object object;
    if (const auto error = value.get_object().get(object)) return error;
    return object.raw_json();
  }

  void read_field(const Target& target, const CsvField& field) {
    const bool is_null = field.text.empty() && !field.quoted;
    if (target.is_user) user_ = field.text;
    if (!target.column || refused_) return;
    std::string& out = builder_.cell();
    if (is_null) {
      out += "NULL";
    } else if (!append_text_literal(out, columns_[*target.column].type, field.text)) {
      return refuse(target.name, not_a_value(field.text, columns_[*target.column].type));
    }
    close_cell(*target.column);
  }

  void close_cell(size_t column) {
    builder_.end_cell(column);
    hint_ = column + 1;
    ++given_;
  }

  Result<> read_header(const std::vector<CsvField>& fields) {
    for (const CsvField& field : fields) {
      Target target{.name = std::string(field.text)};
      target.column = columns_.find(field.text, header_.size());
      target.is_user = !options_.as_user_column.empty() && field.text == options_.as_user_column;
      if (!target.column && !target.is_user) {
        return fail(
            ErrorCode::kInvalidInput,
            fmt::format("line 1: the table has no column '{}' (the first line names the columns)", target.name));
      }
      header_.push_back(std::move(target));
    }
    return {};
  }

  const ImportColumns& columns_;
  const ImportOptions& options_;
  ImportReport& report_;
  ImportSender& sender_;
  BatchBuilder& builder_;
  ondemand::parser parser_;
  Record record_;
  std::vector<Target> header_;
  std::string user_;
  uint64_t records_ = 0;
  size_t given_ = 0;
  size_t hint_ = 0;
  bool refused_ = false;
};

bool is_csv(const ImportOptions& options) {
  return options.format ? *options.format == "csv" : options.path.ends_with(".csv");
}

Result<> import_file(Session& session, const ImportOptions& options, ImportReport& report) {
  KALAM_TRY(const TableName name, parse_table(options.table));
  KALAM_TRY(const ImportColumns columns, read_columns(session, name));
  InputBuffer input;
  KALAM_CHECK(input.open(options.path));
  if (!options.rejects_path.empty()) KALAM_CHECK(report.open_rejects(options.rejects_path));
  const bool skip = options.on_conflict == "skip";
  ImportSender sender(session, report, options.connections, skip);
  BatchBuilder builder(columns,
                       {.table = name.text(),
                        .max_rows = options.batch_rows,
                        .skip_conflicts = skip,
                        .keep_raw = report.keeps_rejects()},
                       [&sender](Batch batch) { sender.send(std::move(batch)); });
  Importer importer(columns, options, report, sender, builder);
  report.start_progress(input.file_bytes());
  auto read = is_csv(options) ? importer.read_csv(input) : importer.read_json_lines(input);
  if (read) builder.flush();
  report.set_bytes_read(input.consumed_bytes());
  const auto sent = sender.finish();
  report.stop_progress();
  if (!read) return read;
  return sent;
}

}  // namespace

int run_import(Session& session, const ImportOptions& options) {
  ImportReport report;
  const auto imported = import_file(session, options, report);
  report.stop_progress();
  if (!imported) fmt::print(stderr, "Error: {}\n", imported.error().message);
  report.print_summary();
  return imported && report.refused() == 0 ? 0 : 1;
}

}  // namespace kalamdb::cli
