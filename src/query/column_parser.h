// The grammar of a column, in CREATE TABLE and ALTER TABLE.
#pragma once

#include "model/table.h"
#include "query/token_reader.h"

namespace kalamdb::query {

// `name type [constraint …]`: the column without its ordinal. PRIMARY KEY leaves a key position of 1; a CHECK goes to
// `checks`. Errors: kInvalidSql, kInvalidOperation for names, kNotImplemented.
Result<model::ColumnDefinition> read_column(TokenReader& reader, std::vector<model::CheckConstraint>& checks);
// `CHECK (expression)`, named if `name` is not empty.
Result<model::CheckConstraint> read_check(TokenReader& reader, std::string name);
// `CONSTRAINT name`, in lower case; empty if it does not come next.
Result<std::string> read_constraint_name(TokenReader& reader);
// The type of `column`; SERIAL and its kin also set the default and NOT NULL.
Result<> read_type(TokenReader& reader, model::ColumnDefinition& column);
// What follows DEFAULT: a literal, which becomes one of the column's type, or a function.
Result<model::ColumnDefault> read_default(TokenReader& reader, const model::ColumnDefinition& column);

// The refusal of a kind of constraint that would not be kept.
std::unexpected<Error> not_enforced(std::string_view what);

}  // namespace kalamdb::query
