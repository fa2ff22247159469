#include "cli/output.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <chrono>
#include <cstdio>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"

namespace kalamdb::cli {

namespace dom = simdjson::dom;

namespace {

enum class Kind { kOther, kNumber, kTimestamp, kDate, kTime, kBytes };

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

Kind kind_of(dom::element field) {
  dom::object parametrised;
  if (field["data_type"].get(parametrised) == simdjson::SUCCESS) {
    return parametrised["Decimal"].error() == simdjson::SUCCESS ? Kind::kNumber : Kind::kOther;
  }
  const std::string_view type = text_member(field, "data_type");
  if (type == "SmallInt" || type == "Int" || type == "BigInt" || type == "Float" || type == "Double") {
    return Kind::kNumber;
  }
  if (type == "Timestamp" || type == "DateTime") return Kind::kTimestamp;
  if (type == "Date") return Kind::kDate;
  if (type == "Time") return Kind::kTime;
  if (type == "Bytes") return Kind::kBytes;
  return Kind::kOther;
}

std::string format_date(int64_t days) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(days))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

std::string format_time(int64_t micros) {
  const int64_t seconds = micros / kMicrosPerSecond;
  std::string text = fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (const int64_t fraction = micros % kMicrosPerSecond; fraction != 0) text += fmt::format(".{:06}", fraction);
  return text;
}

void append_bytes(std::string& out, dom::array bytes) {
  out += "\\x";
  for (dom::element byte : bytes) {
    int64_t value = 0;
    if (byte.get(value) == simdjson::SUCCESS) fmt::format_to(std::back_inserter(out), "{:02X}", value);
  }
}

// Appends a value other than null as text.
void append_value(std::string& out, dom::element value, Kind kind) {
  int64_t integer = 0;
  double real = 0;
  std::string_view text;
  dom::array array;
  if (value.get(integer) == simdjson::SUCCESS) {
    switch (kind) {
      case Kind::kTimestamp:
        out += format_timestamp(integer);
        return;
      case Kind::kDate:
        out += format_date(integer);
        return;
      case Kind::kTime:
        out += format_time(integer);
        return;
      default:
        out += fmt::format_int(integer).c_str();
        return;
    }
  }
  if (value.get(text) == simdjson::SUCCESS) {
    out += text;
  } else if (value.is_double() && value.get(real) == simdjson::SUCCESS) {
    char buffer[32];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, real).ptr);
  } else if (kind == Kind::kBytes && value.get(array) == simdjson::SUCCESS) {
    append_bytes(out, array);
  } else {
    out += simdjson::minify(value);
  }
}

void append_csv_cell(std::string& out, std::string_view text) {
  // An empty string is quoted so that it can be told from NULL, which is nothing at all.
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  append_sql_identifier(out, text);  // CSV doubles its quotes just as SQL does
}

// The cells of a row; none for what is not one.
std::vector<dom::element> cells_of(dom::element row) {
  dom::array cells;
  if (row.get(cells) != simdjson::SUCCESS) return {};
  return {cells.begin(), cells.end()};
}

std::vector<Kind> kinds_of(dom::array schema) {
  std::vector<Kind> kinds;
  for (dom::element field : schema) kinds.push_back(kind_of(field));
  return kinds;
}

std::string render_csv(dom::array schema, dom::array rows) {
  std::string out;
  const std::vector<Kind> kinds = kinds_of(schema);
  size_t i = 0;
  for (dom::element field : schema) {
    if (i++ > 0) out += ',';
    append_csv_cell(out, text_member(field, "name"));
  }
  out += '\n';
  std::string cell;
  for (dom::element row : rows) {
    i = 0;
    for (dom::element value : cells_of(row)) {
      if (i > 0) out += ',';
      if (!value.is_null()) {
        cell.clear();
        append_value(cell, value, i < kinds.size() ? kinds[i] : Kind::kOther);
        append_csv_cell(out, cell);
      }
      ++i;
    }
    out += '\n';
  }
  return out;
}

std::string render_rows(dom::array schema, dom::array rows, bool expanded) {
  const std::vector<Kind> kinds = kinds_of(schema);
  Table table;
  for (dom::element field : schema) {
    append_printable(table.headers.emplace_back(), text_member(field, "name"));
  }
  for (const Kind kind : kinds) table.align_right.push_back(kind == Kind::kNumber);
  std::string cell;
  for (dom::element row : rows) {
    auto& cells = table.rows.emplace_back();
    for (dom::element value : cells_of(row)) {
      if (cells.size() == kinds.size()) break;
      const Kind kind = kinds[cells.size()];
      cell.clear();
      if (value.is_null()) {
        cell = "NULL";
      } else {
        append_value(cell, value, kind);
      }
      append_printable(cells.emplace_back(), cell);
    }
    cells.resize(kinds.size());
  }
  std::string out = expanded ? render_expanded(table) : render_table(table);
  out += table.rows.size() == 1 ? "(1 row)\n" : fmt::format("({} rows)\n", table.rows.size());
  return out;
}

bool is_plan(dom::array schema) { return schema.size() == 2 && text_member(schema.at(0), "name") == "explain_key"; }

// The answer to EXPLAIN: "key: value", and plans, which are drawn over several lines, below their key.
std::string render_plan(dom::array rows) {
  std::string out;
  for (dom::element row : rows) {
    const auto cells = cells_of(row);
    if (cells.size() != 2) continue;
    std::string key;
    std::string text;
    append_value(key, cells[0], Kind::kOther);
    append_value(text, cells[1], Kind::kOther);
    append_printable(out, key);
    std::string_view rest = text;
    out += rest.find('\n') == std::string_view::npos ? ": " : ":\n";
    do {
      const size_t end = std::min(rest.find('\n'), rest.size());
      append_printable(out, rest.substr(0, end));
      out += '\n';
      rest.remove_prefix(std::min(end + 1, rest.size()));
    } while (!rest.empty());
  }
  return out;
}

void render_result(dom::element result, const OutputOptions& options, Rendered& rendered) {
  dom::array schema;
  dom::array rows;
  const bool has_rows =
      result["schema"].get(schema) == simdjson::SUCCESS && result["rows"].get(rows) == simdjson::SUCCESS;
  const std::string_view as_user = text_member(result, "as_user");
  if (options.format == Format::kCsv) {
    if (has_rows) {
      if (!rendered.out.empty()) rendered.out += '\n';
      rendered.out += render_csv(schema, rows);
    }
    return;
  }
  if (has_rows) {
    rendered.out += is_plan(schema) ? render_plan(rows) : render_rows(schema, rows, options.expanded);
  } else {
    const std::string_view message = text_member(result, "message");
    if (!message.empty()) {
      append_printable(rendered.out, message);
      rendered.out += '\n';
    }
    rendered.out += fmt::format("Query OK, {} rows affected\n", int_member(result, "row_count"));
  }
  for (dom::element warning : array_member(result, "warnings")) {
    std::string text;
    append_value(text, warning, Kind::kOther);
    rendered.error += "WARNING: ";
    append_printable(rendered.error, text);
    rendered.error += '\n';
  }
  rendered.out += '\n';
  if (!as_user.empty() && !options.user.empty() && as_user != options.user) {
    rendered.out += "[As: ";
    append_printable(rendered.out, as_user);
    rendered.out += "]\n";
  }
}

// The `error` member of a SQL answer, as text; empty when there is none.
std::string describe_sql_error(dom::element root) {
  dom::element error;
  if (root["error"].get(error) != simdjson::SUCCESS || !error.is_object()) return {};
  std::string text = fmt::format("ERROR {}: ", text_member(error, "code"));
  append_printable(text, text_member(error, "message"));
  text += '\n';
  dom::element details;
  if (error["details"].get(details) == simdjson::SUCCESS && !details.is_null()) {
    std::string detail;
    append_value(detail, details, Kind::kOther);
    text += "Details: ";
    append_printable(text, detail);
    text += '\n';
  }
  return text;
}

}  // namespace

std::optional<Format> parse_format(std::string_view name) {
  if (name == "table") return Format::kTable;
  if (name == "json") return Format::kJson;
  if (name == "csv") return Format::kCsv;
  return std::nullopt;
}

std::string format_timestamp(int64_t micros) {
  int64_t days = micros / kMicrosPerDay;
  if (micros % kMicrosPerDay < 0) --days;
  // The calendar of <chrono> ends with the year 32767.
  if (days > 11'000'000 || days < -11'000'000) return std::to_string(micros);
  return fmt::format("{}T{}Z", format_date(days), format_time(micros - days * kMicrosPerDay));
}

std::string describe_failure(const HttpResponse& response) {
  dom::parser parser;
  dom::element root;
  std::string text;
  if (parser.parse(response.body).get(root) == simdjson::SUCCESS && root.is_object()) {
    text = describe_sql_error(root);
    if (!text.empty()) return text;
    std::string_view message = text_member(root, "message");
    if (message.empty()) message = text_member(root, "error");
    append_printable(text, message);
  }
  if (text.empty()) append_printable(text, std::string_view(response.body).substr(0, 500));
  return fmt::format("Server error ({}): {}\n", response.status, text);
}

Rendered render_response(const HttpResponse& response, const OutputOptions& options) {
  Rendered rendered;
  dom::parser parser;
  dom::element root;
  if (parser.parse(response.body).get(root) != simdjson::SUCCESS || !root.is_object()) {
    rendered.ok = false;
    rendered.error = describe_failure(response);
    return rendered;
  }
  rendered.ok = response.status < 400 && text_member(root, "status") == "success";
  if (options.format == Format::kJson) {
    rendered.out = pretty_json(response.body) + '\n';
  } else {
    for (dom::element result : array_member(root, "results")) render_result(result, options, rendered);
    double took_ms = 0;
    if (rendered.ok && options.format == Format::kTable && root["took"].get(took_ms) == simdjson::SUCCESS) {
      rendered.out += fmt::format("Took: {:.3f} ms\n", took_ms);
    }
  }
  if (!rendered.ok) rendered.error += describe_failure(response);
  return rendered;
}

bool print_response(const HttpResponse& response, const OutputOptions& options) {
  const Rendered rendered = render_response(response, options);
  std::fwrite(rendered.out.data(), 1, rendered.out.size(), stdout);
  std::fflush(stdout);
  if (!rendered.error.empty()) {
    const bool color = options.color && !rendered.ok;
    fmt::print(stderr, "{}{}{}", color ? "\x1b[31m" : "", rendered.error, color ? "\x1b[0m" : "");
  }
  return rendered.ok;
}

}  // namespace kalamdb::cli
