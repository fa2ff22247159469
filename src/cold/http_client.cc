#include "cold/http_client.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "base/assert.h"
#include "cold/endpoint.h"

namespace kalamdb::cold {
namespace {

// Each keeps a connection.
constexpr size_t kMaxIdleHandles = 16;
constexpr size_t kMaxHeaders = 100;
constexpr long kSlowBytesPerSecond = 1024;

// One request under way, as libcurl's callbacks see it.
struct Transfer {
  const HttpRequest& request;
  HttpAnswer answer;
  size_t sent = 0;
  bool is_too_large = false;
  bool allow_private_addresses = false;
  bool met_private_address = false;
};

size_t on_body(char* bytes, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const size_t length = size * count;
  if (length > transfer.request.max_answer_bytes - transfer.answer.body.size()) {
    transfer.is_too_large = true;
    return 0;
  }
  transfer.answer.body.append(bytes, length);
  return length;
}

size_t on_header(char* bytes, size_t size, size_t count, void* context) {
  auto& headers = static_cast<Transfer*>(context)->answer.headers;
  std::string_view line(bytes, size * count);
  if (line.starts_with("HTTP/")) headers.clear();  // those before were of an interim answer
  while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back())) != 0) line.remove_suffix(1);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  line.remove_prefix(colon + 1);
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  if (headers.size() < kMaxHeaders) headers[name] = line;
  return size * count;
}

size_t on_send(char* bytes, size_t size, size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const size_t length = std::min(size * count, transfer.request.body.size() - transfer.sent);
  std::memcpy(bytes, transfer.request.body.data() + transfer.sent, length);
  transfer.sent += length;
  return length;
}

// libcurl starts over when a kept connection turns out to be closed.
int on_seek(void* context, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (origin != SEEK_SET || offset < 0 || static_cast<size_t>(offset) > transfer.request.body.size()) {
    return CURL_SEEKFUNC_FAIL;
  }
  transfer.sent = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

curl_socket_t on_open_socket(void* context, curlsocktype /*purpose*/, curl_sockaddr* address) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (!transfer.allow_private_addresses && is_private_address(address->addr)) {
    transfer.met_private_address = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// libcurl asks this about once a second.
int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const HttpOptions*>(context)->is_stopped() ? 1 : 0;
}

// What another attempt can't change.
bool is_lasting(CURLcode code) {
  constexpr std::array kLasting = {
      CURLE_URL_MALFORMAT,      CURLE_UNSUPPORTED_PROTOCOL, CURLE_OUT_OF_MEMORY,         CURLE_PEER_FAILED_VERIFICATION,
      CURLE_SSL_CACERT_BADFILE, CURLE_WRITE_ERROR,          CURLE_BAD_FUNCTION_ARGUMENT, CURLE_FAILED_INIT};
  return std::ranges::find(kLasting, code) != kLasting.end();
}

}  // namespace

struct HttpClient::Handle {
  CURL* curl = curl_easy_init();
  std::array<char, CURL_ERROR_SIZE> error{};
  Handle() { KALAM_ASSERT(curl != nullptr); }
  ~Handle() { curl_easy_cleanup(curl); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

HttpClient::HttpClient(HttpOptions options) : options_(options) {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  KALAM_ASSERT(initialised == CURLE_OK);
}

HttpClient::~HttpClient() = default;

std::unique_ptr<HttpClient::Handle> HttpClient::acquire() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Handle>();
  auto handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void HttpClient::release(std::unique_ptr<Handle> handle) {
  curl_easy_reset(handle->curl);  // keeps the connections
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdleHandles) idle_.push_back(std::move(handle));
}

std::expected<HttpAnswer, HttpFailure> HttpClient::send(const HttpRequest& request) {
  auto handle = acquire();
  CURL* curl = handle->curl;
  Transfer transfer{.request = request, .allow_private_addresses = options_.allow_private_addresses};

  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");  // not even one that the environment names
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, handle->error.data());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout_ms));
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall_timeout_ms / 1000));
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, const_cast<HttpOptions*>(&options_));
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method == "PUT" || request.method == "POST") {
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_send);
    curl_easy_setopt(curl, CURLOPT_READDATA, &transfer);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, &transfer);
  } else {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  // Without this libcurl waits a second for servers that do not know "Expect".
  curl_slist* headers = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : request.headers) headers = curl_slist_append(headers, (name + ": " + value).c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);

  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(headers);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  const std::string detail = handle->error.front() == '\0' ? curl_easy_strerror(code) : handle->error.data();
  handle->error.front() = '\0';
  release(std::move(handle));

  if (code == CURLE_OK) {
    transfer.answer.status = static_cast<int>(status);
    return std::move(transfer.answer);
  }
  if (transfer.met_private_address) {
    return std::unexpected(HttpFailure{
        "the host has a private, loopback or link-local address, which only storage.allow_private_endpoints allows",
        false});
  }
  if (transfer.is_too_large) {
    return std::unexpected(
        HttpFailure{"the answer has more than " + std::to_string(request.max_answer_bytes) + " bytes", false});
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) return std::unexpected(HttpFailure{"the server stops", false});
  return std::unexpected(HttpFailure{detail, !is_lasting(code)});
}

}  // namespace kalamdb::cold
