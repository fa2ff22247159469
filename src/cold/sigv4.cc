#include "cold/sigv4.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

#include "base/assert.h"
#include "platform/utc_text.h"

namespace kalamdb::cold {
namespace {

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char byte : bytes) {
    out.push_back(kDigits[static_cast<unsigned char>(byte) >> 4]);
    out.push_back(kDigits[static_cast<unsigned char>(byte) & 15]);
  }
  return out;
}

std::string encode(std::string_view text, std::string_view kept) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // Not std::isalnum(), which asks the locale.
    const bool is_alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_alphanumeric || kept.contains(c)) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    }
  }
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  const auto* done =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
           text.size(), reinterpret_cast<unsigned char*>(mac.data()), &length);
  KALAM_ASSERT(done != nullptr);
  mac.resize(length);
  return mac;
}

// "20130524T000000Z"
std::string timestamp(int64_t now_us) { return platform::utc_text(now_us, "%Y%m%dT%H%M%SZ"); }

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int length = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &length,
                              EVP_sha256(), nullptr);
  KALAM_ASSERT(done == 1);
  return hex(std::string_view(digest).substr(0, length));
}

std::string encoded_query(const NamesAndValues& query) {
  NamesAndValues encoded;
  for (const auto& [name, value] : query) encoded.emplace_back(encode(name, "-_.~"), encode(value, "-_.~"));
  std::ranges::sort(encoded);
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name + "=" + value;
  }
  return out;
}

std::string encoded_path(std::string_view path) { return encode(path, "-_.~/"); }

void sign(RequestToSign& request, const S3Credentials& credentials, std::string_view region, int64_t now_us) {
  const std::string time = timestamp(now_us);
  const std::string date = time.substr(0, 8);
  request.headers.emplace_back("x-amz-date", time);
  request.headers.emplace_back("x-amz-content-sha256", request.payload_sha256);
  if (!credentials.session_token.empty()) {
    request.headers.emplace_back("x-amz-security-token", credentials.session_token);
  }
  std::ranges::sort(request.headers);
  std::string header_lines;
  std::string signed_headers;
  for (const auto& [name, value] : request.headers) {
    header_lines += name + ":" + value + "\n";
    signed_headers += (signed_headers.empty() ? "" : ";") + name;
  }
  const std::string canonical = request.method + "\n" + request.path + "\n" + encoded_query(request.query) + "\n" +
                                header_lines + "\n" + signed_headers + "\n" + request.payload_sha256;
  const std::string scope = date + "/" + std::string(region) + "/s3/aws4_request";
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256_hex(canonical);
  std::string key = hmac_sha256("AWS4" + credentials.secret_key, date);
  key = hmac_sha256(key, region);
  key = hmac_sha256(key, "s3");
  key = hmac_sha256(key, "aws4_request");
  request.headers.emplace_back("authorization", "AWS4-HMAC-SHA256 Credential=" + credentials.access_key + "/" + scope +
                                                    ",SignedHeaders=" + signed_headers +
                                                    ",Signature=" + hex(hmac_sha256(key, to_sign)));
}

std::string decoded(std::string_view text) {
  int length = 0;
  const std::unique_ptr<char, decltype(&curl_free)> plain(
      curl_easy_unescape(nullptr, text.data(), static_cast<int>(text.size()), &length), curl_free);
  return plain == nullptr ? std::string() : std::string(plain.get(), static_cast<size_t>(length));
}

}  // namespace kalamdb::cold
