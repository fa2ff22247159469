// BEGIN, START TRANSACTION, COMMIT, ROLLBACK: not there yet, and saying so beats running the statements one by one.
#include "query/commands.h"

namespace kalamdb::query {

ParsedCommand parse_transaction(TokenReader&) {
  return fail(ErrorCode::kNotImplemented,
              "Transactions are not supported yet; each statement is atomic by itself, a multi-row INSERT included");
}

}  // namespace kalamdb::query
