// The secret that signs tokens when the configuration names none.
#pragma once

#include <string>

#include "base/result.h"
#include "catalog/catalog.h"
#include "platform/random.h"

namespace kalamdb::auth {

// 32 random bytes in hexadecimal digits, made on the first start and kept with the database. Errors: those of the
// catalog.
Result<std::string> load_or_create_jwt_secret(catalog::Catalog& catalog, platform::Random& random);

}  // namespace kalamdb::auth
