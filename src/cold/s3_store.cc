#include "cold/s3_store.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/log.h"

namespace kalamdb::cold {
namespace {

constexpr uint64_t kMaxParts = 10'000;
constexpr size_t kMaxListedObjects = 5'000'000;
constexpr uint64_t kMaxListBytes = 16 << 20;

std::unexpected<Error> missing(const std::string& name) {
  return fail(ErrorCode::kNotFound, "There is no object " + name);
}

// "" when the answer has none of that name.
std::string header(const HttpAnswer& answer, const std::string& name) {
  const auto found = answer.headers.find(name);
  return found == answer.headers.end() ? "" : found->second;
}

Result<std::string> etag_of(const HttpAnswer& answer, const std::string& key) {
  std::string etag = header(answer, "etag");
  if (etag.empty()) return fail(ErrorCode::kIo, "The service gives no ETag for " + key);
  return etag;
}

}  // namespace

Result<std::unique_ptr<S3Store>> S3Store::open(S3Options options, std::string staging_directory,
                                               platform::FileSystem& files, platform::Clock& clock,
                                               platform::Random& random) {
  KALAM_TRY(auto client, S3Client::create(std::move(options), clock, random));
  return std::unique_ptr<S3Store>(new S3Store(std::move(client), std::move(staging_directory), files));
}

S3Store::S3Store(std::unique_ptr<S3Client> client, std::string staging_directory, platform::FileSystem& files)
    : client_(std::move(client)), staging_directory_(std::move(staging_directory)), files_(files) {}

Result<std::string> S3Store::key_of(std::string_view name) const {
  std::string key = client_->options().prefix;
  if (!key.empty()) key += '/';
  key += name;
  KALAM_CHECK(check_object_name(name));
  KALAM_CHECK(check_object_name(key));  // S3 bounds it as a whole
  return key;
}

Result<std::string> S3Store::staging_file(const std::string& name) {
  KALAM_TRY(const auto key, key_of(name));
  KALAM_CHECK(files_.create_directories(staging_directory_));
  // One directory for all: the hash keeps names apart that differ only by their slashes.
  return staging_directory_ + "/" + sha256_hex(key) + ".tmp";
}

Result<> S3Store::put_file(const std::string& name, const std::string& staged) {
  KALAM_TRY(const auto key, key_of(name));
  KALAM_TRY(const auto size, files_.file_size(staged));
  if (size > client_->options().part_bytes) {
    KALAM_CHECK(upload(key, staged, size));
  } else {
    KALAM_TRY(const auto bytes, files_.read_file(staged));
    KALAM_CHECK(put(name, bytes));
  }
  return files_.remove_file(staged);
}

Result<> S3Store::put(const std::string& name, std::string_view bytes) {
  KALAM_TRY(auto key, key_of(name));
  const S3Request request{.method = "PUT", .key = std::move(key), .body = bytes};
  KALAM_TRY(const auto answer, client_->send(request, "write"));
  if (!answer.ok()) return client_->refused(request, "write", answer);
  return {};
}

Result<std::optional<std::string>> S3Store::version(const std::string& name) {
  KALAM_TRY(const auto key, key_of(name));
  KALAM_TRY(const auto answer, head(key));
  if (!answer) return std::nullopt;
  return etag_of(*answer, key);
}

Result<std::string> S3Store::put_if(const std::string& name, std::string_view bytes,
                                    const std::optional<std::string>& version) {
  KALAM_TRY(const auto key, key_of(name));
  const S3Request request{
      .method = "PUT",
      .key = key,
      .headers = {version ? std::pair("if-match", *version) : std::pair("if-none-match", std::string("*"))},
      .body = bytes};
  KALAM_TRY(const auto answer, client_->send(request, "write"));
  if (answer.ok()) return etag_of(answer.http, key);
  const int status = answer.http.status;
  if (status == 501 || answer.has("NotImplemented")) {
    return fail(ErrorCode::kNotImplemented, client_->refused(request, "write", answer).error().message);
  }
  const bool is_conflict = status == 412 || status == 409 || (version && answer.has("NoSuchKey"));
  if (!is_conflict) return client_->refused(request, "write", answer);
  // It may be an attempt of this very call that has changed it, and whose answer was lost.
  const auto there = read({.method = "GET", .key = key, .max_answer_bytes = kMaxGetBytes});
  if (there && there->http.body == bytes) return etag_of(there->http, key);
  if (!there && there.error().code != ErrorCode::kNotFound) return fail(there.error());
  return fail(ErrorCode::kConflict, "Cannot write s3://" + client_->options().bucket + "/" + key +
                                        ": it was changed meanwhile, by another server");
}

Result<> S3Store::upload(const std::string& key, const std::string& file, uint64_t size) {
  const S3Request create{.method = "POST", .key = key, .query = {{"uploads", ""}}};
  KALAM_TRY(const auto created, client_->send(create, "write"));
  if (!created.ok()) return client_->refused(create, "write", created);
  KALAM_TRY(const auto id, parse_s3_upload_id(created.http.body));
  Result<> done;
  if (const auto etags = upload_parts(key, id, file, size)) {
    done = complete_upload(key, id, *etags, size);
  } else {
    done = fail(etags.error());
  }
  if (!done) {
    // Parts that are not taken back cost rent until the bucket's owner notices.
    const S3Request abort{.method = "DELETE", .key = key, .query = {{"uploadId", id}}};
    if (const auto aborted = client_->send(abort, "abort the upload of"); !aborted) {
      log::warn("storage: {}", aborted.error().message);
    } else if (!aborted->ok() && !aborted->has("NoSuchUpload")) {
      log::warn("storage: {}", client_->refused(abort, "abort the upload of", *aborted).error().message);
    }
  }
  return done;
}

Result<std::vector<std::string>> S3Store::upload_parts(const std::string& key, const std::string& upload_id,
                                                       const std::string& file, uint64_t size) {
  const uint64_t part_bytes = std::max(client_->options().part_bytes, size / kMaxParts + 1);
  std::vector<std::string> etags;
  for (uint64_t offset = 0; offset < size; offset += part_bytes) {
    KALAM_TRY(const auto bytes, files_.read_range(file, offset, std::min(part_bytes, size - offset)));
    const S3Request request{.method = "PUT",
                            .key = key,
                            .query = {{"partNumber", std::to_string(etags.size() + 1)}, {"uploadId", upload_id}},
                            .body = bytes};
    KALAM_TRY(const auto answer, client_->send(request, "write"));
    if (!answer.ok()) return client_->refused(request, "write", answer);
    KALAM_TRY(etags.emplace_back(), etag_of(answer.http, key));
  }
  return etags;
}

Result<> S3Store::complete_upload(const std::string& key, const std::string& upload_id,
                                  const std::vector<std::string>& etags, uint64_t size) {
  const std::string body = s3_complete_upload(etags);
  const S3Request request{.method = "POST",
                          .key = key,
                          .query = {{"uploadId", upload_id}},
                          .headers = {{"content-type", "application/xml"}},
                          .body = body};
  KALAM_TRY(const auto answer, client_->send(request, "write"));
  if (answer.ok()) return {};
  if (answer.has("NoSuchUpload")) {
    // An attempt whose answer was lost may have done it; libcurl too tries again on a connection that it had kept.
    KALAM_TRY(const auto there, size_of_key(key));
    if (there == size) return {};
  }
  return client_->refused(request, "write", answer);
}

Result<S3Answer> S3Store::read(S3Request request) {
  KALAM_TRY(auto answer, client_->send(request, "read"));
  if (answer.has("NoSuchKey")) return missing("s3://" + client_->options().bucket + "/" + request.key);
  if (!answer.ok()) return client_->refused(request, "read", answer);
  return answer;
}

Result<std::string> S3Store::get(const std::string& name) {
  KALAM_TRY(auto key, key_of(name));
  KALAM_TRY(auto answer, read({.method = "GET", .key = std::move(key), .max_answer_bytes = kMaxGetBytes}));
  return std::move(answer.http.body);
}

Result<std::string> S3Store::get_range(const std::string& name, uint64_t offset, uint64_t length) {
  KALAM_TRY(auto key, key_of(name));
  const auto too_short = [&] {
    return fail(ErrorCode::kIo, "Cannot read " + std::to_string(length) + " bytes at " + std::to_string(offset) +
                                    " of s3://" + client_->options().bucket + "/" + key + ": it is shorter");
  };
  if (length == 0 || offset > UINT64_MAX - length) {  // no range can say that
    KALAM_TRY(const auto there, size_of_key(key));
    if (!there) return missing(name);
    if (length > 0 || offset > *there) return too_short();
    return std::string();
  }
  S3Request request{
      .method = "GET",
      .key = key,
      .headers = {{"range", "bytes=" + std::to_string(offset) + "-" + std::to_string(offset + length - 1)}},
      // Room for the text of an error.
      .max_answer_bytes = std::max<uint64_t>(length, 1 << 20)};
  KALAM_TRY(auto answer, read(std::move(request)));
  // A service that knows no ranges sends the whole.
  if (answer.http.status != 206 && offset != 0) {
    return fail(ErrorCode::kIo,
                "Cannot read a part of s3://" + client_->options().bucket + "/" + key + ": the service ignores ranges");
  }
  if (answer.http.body.size() < length) return too_short();
  if (answer.http.body.size() > length) {
    return fail(ErrorCode::kIo, "Cannot read a part of s3://" + client_->options().bucket + "/" + key +
                                    ": the service sends more than was asked for");
  }
  return std::move(answer.http.body);
}

Result<std::optional<uint64_t>> S3Store::size(const std::string& name) {
  KALAM_TRY(const auto key, key_of(name));
  return size_of_key(key);
}

Result<std::optional<uint64_t>> S3Store::size_of_key(const std::string& key) {
  KALAM_TRY(const auto answer, head(key));
  if (!answer) return std::nullopt;
  const std::string text = header(*answer, "content-length");
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(ErrorCode::kIo, "The service does not tell the size of " + key);
  }
  return size;
}

Result<std::optional<HttpAnswer>> S3Store::head(const std::string& key) {
  const S3Request request{.method = "HEAD", .key = key};
  KALAM_TRY(auto answer, client_->send(request, "find"));
  if (answer.ok()) return std::move(answer.http);
  if (answer.http.status != 404) return client_->refused(request, "find", answer);
  // Answers to HEAD have no text: it may be the bucket that is missing.
  const S3Request get{.method = "GET", .key = key, .headers = {{"range", "bytes=0-0"}}};
  KALAM_TRY(const auto reason, client_->send(get, "find"));
  if (reason.has("NoSuchKey")) return std::nullopt;
  if (reason.ok()) return head(key);  // it has come meanwhile
  return client_->refused(get, "find", reason);
}

Result<std::vector<ObjectInfo>> S3Store::list(const std::string& directory) {
  std::string prefix = client_->options().prefix;
  if (!directory.empty()) {
    KALAM_TRY(prefix, key_of(directory));
  }
  if (!prefix.empty()) prefix += '/';
  const size_t base = client_->options().prefix.empty() ? 0 : client_->options().prefix.size() + 1;
  std::vector<ObjectInfo> objects;
  std::string continuation;
  do {
    S3Request request{.method = "GET", .query = {{"list-type", "2"}}, .max_answer_bytes = kMaxListBytes};
    if (!prefix.empty()) request.query.emplace_back("prefix", prefix);
    if (!continuation.empty()) request.query.emplace_back("continuation-token", continuation);
    KALAM_TRY(const auto answer, client_->send(request, "list"));
    if (!answer.ok()) return client_->refused(request, "list", answer);
    KALAM_TRY(auto page, parse_s3_list(answer.http.body));
    for (ObjectInfo& object : page.objects) {
      if (!object.name.starts_with(prefix)) {
        return fail(ErrorCode::kIo, "The service lists objects that are not below " + prefix);
      }
      object.name.erase(0, base);
      // Others may have put keys into the bucket that name nothing here, such as those that stand for folders.
      if (check_object_name(object.name)) objects.push_back(std::move(object));
    }
    if (objects.size() > kMaxListedObjects || (!page.continuation.empty() && page.continuation == continuation)) {
      return fail(ErrorCode::kIo, "The service's list of what is below '" + prefix + "' does not end");
    }
    continuation = std::move(page.continuation);
  } while (!continuation.empty());
  std::ranges::sort(objects, {}, &ObjectInfo::name);  // not every service does
  return objects;
}

Result<> S3Store::remove(const std::string& name) {
  KALAM_TRY(auto key, key_of(name));
  const S3Request request{.method = "DELETE", .key = std::move(key)};
  KALAM_TRY(const auto answer, client_->send(request, "remove"));
  if (!answer.ok() && !answer.has("NoSuchKey")) return client_->refused(request, "remove", answer);
  return {};
}

Result<> S3Store::remove_directory(const std::string& directory) {
  KALAM_CHECK(key_of(directory));
  KALAM_TRY(const auto objects, list(directory));
  for (const ObjectInfo& object : objects) KALAM_CHECK(remove(object.name));
  return {};
}

std::optional<std::string> S3Store::local_path(const std::string& /*name*/) const { return std::nullopt; }

}  // namespace kalamdb::cold
