// DuckDB by itself as the reference for the differential tests: reads SQL statements from stdin, one a line, and
// answers each with one line of JSON on stdout:
//
//   {"types":["INTEGER",…],"rows":[["1",null],…]}      each cell as DuckDB writes it, BLOBs in hexadecimal
//   {"error":"…"}
#include <duckdb.hpp>

#include <cstdio>
#include <iostream>
#include <string>

namespace {

void append_quoted(std::string& out, const std::string& text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string hexadecimal(const std::string& bytes) {
  std::string out;
  for (const unsigned char byte : bytes) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%02x", byte);
    out += digits;
  }
  return out;
}

std::string shown(const duckdb::Value& value) {
  char digits[40];
  switch (value.type().id()) {
    case duckdb::LogicalTypeId::FLOAT:
      std::snprintf(digits, sizeof digits, "%.9g", value.GetValue<float>());
      return digits;
    case duckdb::LogicalTypeId::DOUBLE:
      std::snprintf(digits, sizeof digits, "%.17g", value.GetValue<double>());
      return digits;
    case duckdb::LogicalTypeId::BLOB:
      return hexadecimal(duckdb::StringValue::Get(value));
    default:
      return value.ToString();
  }
}

void append_error(std::string& out, const duckdb::ErrorData& error) {
  out = "{\"error\":";
  append_quoted(out, error.Message());
  out += '}';
}

std::string answer(duckdb::Connection& connection, const std::string& sql) {
  std::string out = "{\"types\":[";
  try {
    const auto result = connection.Query(sql);
    if (result->HasError()) {
      append_error(out, result->GetErrorObject());
      return out;
    }
    for (size_t i = 0; i < result->types.size(); ++i) {
      if (i > 0) out += ',';
      append_quoted(out, result->types[i].ToString());
    }
    out += "],\"rows\":[";
    for (size_t row = 0; row < result->RowCount(); ++row) {
      out += row > 0 ? ",[" : "[";
      for (size_t i = 0; i < result->types.size(); ++i) {
        if (i > 0) out += ',';
        const duckdb::Value value = result->GetValue(i, row);
        if (value.IsNull()) {
          out += "null";
        } else {
          append_quoted(out, shown(value));
        }
      }
      out += ']';
    }
  } catch (const std::exception& error) {
    append_error(out, duckdb::ErrorData(error));
    return out;
  }
  return out + "]}";
}

}  // namespace

int main() {
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  std::string line;
  while (std::getline(std::cin, line)) std::cout << answer(connection, line) << '\n' << std::flush;
  return 0;
}
