#include "auth/token.h"

#include <cjose/cjose.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdlib>

#include "protocol/json_text.h"

namespace kalamdb::auth {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::string_view kIssuer = "kalamdb";
constexpr size_t kMinSecretBytes = 32;
constexpr size_t kMaxTokenBytes = 8192;

struct ReleaseJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
struct ReleaseHeader {
  void operator()(cjose_header_t* header) const { cjose_header_release(header); }
};
using Jws = std::unique_ptr<cjose_jws_t, ReleaseJws>;
using Header = std::unique_ptr<cjose_header_t, ReleaseHeader>;

std::optional<std::string> decode_base64url(std::string_view text) {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  cjose_err error;
  if (!cjose_base64url_decode(text.data(), text.size(), &bytes, &size, &error)) return std::nullopt;
  std::string decoded(reinterpret_cast<char*>(bytes), size);
  cjose_get_dealloc()(bytes);
  return decoded;
}

// Exactly one `alg`, which is HS256, and nothing that could point at another key.
bool is_acceptable_header(std::string_view token) {
  const auto json = decode_base64url(token.substr(0, token.find('.')));
  if (!json) return false;
  simdjson::dom::parser parser;
  object header;
  if (parser.parse(*json).get(header) != simdjson::SUCCESS) return false;
  size_t algorithms = 0;
  for (const auto& [name, value] : header) {
    std::string_view text;
    if (value.get(text) != simdjson::SUCCESS) return false;
    if (name == "alg") {
      if (text != "HS256" || ++algorithms > 1) return false;
    } else if (name == "typ") {
      if (text != "JWT") return false;
    } else if (name != "kid") {
      return false;
    }
  }
  return algorithms == 1;
}

std::optional<std::string_view> text_of(object claims, const char* name) {
  std::string_view text;
  if (claims[name].get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

// A time in whole seconds; fractions, which the standard allows, are cut.
std::optional<int64_t> seconds_of(object claims, const char* name) {
  int64_t seconds = 0;
  if (claims[name].get(seconds) == simdjson::SUCCESS) return seconds;
  double fractional = 0;
  constexpr double kLatest = 1e15;
  if (claims[name].get(fractional) != simdjson::SUCCESS || !(std::abs(fractional) < kLatest)) return std::nullopt;
  return static_cast<int64_t>(fractional);
}

std::optional<TokenClaims> read_claims(std::string_view json) {
  simdjson::dom::parser parser;
  object claims;
  if (parser.parse(json.data(), json.size()).get(claims) != simdjson::SUCCESS) return std::nullopt;
  const auto issuer = text_of(claims, "iss");
  const auto user = text_of(claims, "sub");
  const auto expires = seconds_of(claims, "exp");
  const auto kind = text_of(claims, "token_type");
  if (issuer != kIssuer || !user || user->empty() || !expires || (kind != "access" && kind != "refresh")) {
    return std::nullopt;
  }
  TokenClaims read{.user = std::string(*user), .expires_at_s = *expires};
  read.kind = kind == "access" ? TokenKind::kAccess : TokenKind::kRefresh;
  element value;
  if (claims["nbf"].get(value) == simdjson::SUCCESS) {
    const auto not_before = seconds_of(claims, "nbf");
    if (!not_before) return std::nullopt;
    read.not_before_s = *not_before;
  }
  if (claims["role"].get(value) == simdjson::SUCCESS && !value.is_null()) {
    const auto role = text_of(claims, "role");
    if (!role) return std::nullopt;
    read.role = catalog::parse_role(*role);
    if (!read.role || catalog::lower_name(*read.role) != *role) return std::nullopt;
  }
  return read;
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  if (out.back() != '{') out.push_back(',');
  protocol::append_json_string(out, name);
  out.push_back(':');
  protocol::append_json_string(out, text);
}

}  // namespace

struct TokenSigner::Key {
  cjose_jwk_t* jwk;

  explicit Key(cjose_jwk_t* owned) : jwk(owned) {}
  ~Key() { cjose_jwk_release(jwk); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
};

TokenSigner::TokenSigner(std::unique_ptr<Key> key) : key_(std::move(key)) {}
TokenSigner::~TokenSigner() = default;

Result<std::unique_ptr<TokenSigner>> TokenSigner::create(std::string_view secret) {
  if (secret.size() < kMinSecretBytes) {
    return fail(ErrorCode::kInvalidInput, "auth.jwt_secret has " + std::to_string(secret.size()) +
                                              " bytes; it needs at least 32. Remove it to have one generated.");
  }
  cjose_err error;
  cjose_jwk_t* jwk = cjose_jwk_create_oct_spec(reinterpret_cast<const uint8_t*>(secret.data()), secret.size(), &error);
  if (jwk == nullptr) return fail(ErrorCode::kInternal, "cannot make the key that signs tokens");
  return std::unique_ptr<TokenSigner>(new TokenSigner(std::make_unique<Key>(jwk)));
}

Result<std::string> TokenSigner::sign(const catalog::User& user, TokenKind kind, int64_t issued_at_s,
                                      int64_t expires_at_s) const {
  std::string claims = "{";
  append_member(claims, "sub", user.id);
  append_member(claims, "iss", kIssuer);
  claims.append(",\"exp\":");
  protocol::append_integer(claims, expires_at_s);
  claims.append(",\"iat\":");
  protocol::append_integer(claims, issued_at_s);
  if (user.email) {
    append_member(claims, "email", *user.email);
  } else {
    claims.append(",\"email\":null");
  }
  append_member(claims, "role", catalog::lower_name(user.role));
  append_member(claims, "token_type", kind == TokenKind::kAccess ? "access" : "refresh");
  claims.push_back('}');

  cjose_err error;
  const Header header(cjose_header_new(&error));
  if (header == nullptr || !cjose_header_set(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_HS256, &error) ||
      !cjose_header_set(header.get(), "typ", "JWT", &error)) {
    return fail(ErrorCode::kInternal, "cannot sign a token");
  }
  const Jws jws(
      cjose_jws_sign(key_->jwk, header.get(), reinterpret_cast<const uint8_t*>(claims.data()), claims.size(), &error));
  const char* compact = nullptr;
  if (jws == nullptr || !cjose_jws_export(jws.get(), &compact, &error)) {
    return fail(ErrorCode::kInternal, "cannot sign a token");
  }
  return std::string(compact);
}

std::optional<TokenClaims> TokenSigner::verify(std::string_view token) const {
  if (token.size() > kMaxTokenBytes || std::ranges::count(token, '.') != 2 || !is_acceptable_header(token)) {
    return std::nullopt;
  }
  cjose_err error;
  const Jws jws(cjose_jws_import(token.data(), token.size(), &error));
  if (jws == nullptr || !cjose_jws_verify(jws.get(), key_->jwk, &error)) return std::nullopt;
  uint8_t* payload = nullptr;
  size_t size = 0;
  if (!cjose_jws_get_plaintext(jws.get(), &payload, &size, &error)) return std::nullopt;
  return read_claims(std::string_view(reinterpret_cast<const char*>(payload), size));
}

}  // namespace kalamdb::auth
