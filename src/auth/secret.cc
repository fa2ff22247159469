#include "auth/secret.h"

namespace kalamdb::auth {

Result<std::string> load_or_create_jwt_secret(catalog::Catalog& catalog, platform::Random& random) {
  constexpr std::string_view kSetting = "auth.jwt_secret";
  KALAM_TRY(std::optional<std::string> kept, catalog.setting(kSetting));
  if (kept) return *std::move(kept);
  std::string secret = platform::random_hex(random, 32);
  KALAM_CHECK(catalog.put_setting(kSetting, secret));
  return secret;
}

}  // namespace kalamdb::auth
