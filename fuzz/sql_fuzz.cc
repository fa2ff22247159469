// Any bytes as SQL: splitting, tokens, parsing, the allow-lists and the shapes must end, with a result or an error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "duck/statement.h"
#include "duck/tokens.h"

namespace {

void parse(std::string_view sql) {
  const auto statement = kalamdb::duck::Statement::parse(sql);
  if (statement) static_cast<void>((*statement)->live());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view sql(reinterpret_cast<const char*>(data), size);
  if (const auto tokens = kalamdb::duck::tokenize(sql)) {
    for (const auto& token : *tokens) static_cast<void>(kalamdb::duck::unquote(sql, token));
  }
  parse(sql);
  if (const auto statements = kalamdb::duck::split_statements(sql)) {
    for (const auto& statement : *statements) parse(statement);
  }
  return 0;
}
