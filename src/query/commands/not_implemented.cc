// Statements of KalamDB that this version does not have: the answer says so, rather than "syntax error".
#include "query/commands.h"

namespace kalamdb::query {

ParsedCommand parse_not_implemented(TokenReader& reader) {
  // The reader stands behind the first word: the statement is named by what it starts with.
  const size_t begin = reader.sql().find_first_not_of(" \t\r\n");
  const size_t end = reader.at_end() ? reader.sql().size() : reader.offset() + reader.token_text().size();
  return fail(ErrorCode::kNotImplemented, std::string(reader.sql().substr(begin, end - begin)) +
                                              " is not supported yet by this version of KalamDB");
}

}  // namespace kalamdb::query
