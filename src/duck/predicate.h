// The WHERE of a subscription as an expression over stored rows. For the other files of this folder only.
#pragma once

#include "duck/session.h"

namespace kalamdb::duck {

// See Engine::bind_predicate().
Result<std::unique_ptr<Predicate>> make_predicate(std::unique_ptr<Session> session, const Statement& select,
                                                  const model::TablePtr& table, const QueryContext& context);

}  // namespace kalamdb::duck
