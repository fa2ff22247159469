#include "storage/remote_reader.h"

#include <algorithm>
#include <condition_variable>
#include <optional>

#include "base/log.h"

namespace kalamdb::storage {
namespace {

// How often a waiting reader looks whether it still should.
constexpr auto kLookInterval = std::chrono::milliseconds(20);

// Requests that wait or run; readers that have given up leave theirs behind.
constexpr size_t kMaxQueue = 1'000;

}  // namespace

// Outlives a reader that gives up.
struct RemoteReader::Call {
  std::mutex mutex;
  std::condition_variable done;
  std::optional<Result<std::string>> bytes;
};

RemoteReader::RemoteReader(const StorageRegistry& storages, RemoteReaderOptions options)
    : storages_(storages), options_(options), threads_(static_cast<unsigned>(options.threads), kMaxQueue) {}

RemoteReader::~RemoteReader() { threads_.stop(); }

bool RemoteReader::may_stay(uint64_t number) const {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() <= options_.max_stuck) return true;
  const auto last = std::next(waiting_.begin(), static_cast<ptrdiff_t>(options_.max_stuck) - 1);
  return number <= last->first || Clock::now() - last->second < std::chrono::milliseconds(options_.stuck_ms);
}

Result<> RemoteReader::read(const std::string& path, uint64_t size_bytes, uint64_t offset, std::span<char> out,
                            const std::function<bool()>& is_cancelled) {
  const size_t slash = path.find('/');
  const std::string storage_id = path.substr(0, slash);
  auto call = std::make_shared<Call>();
  const bool posted =
      threads_.post([this, call, storage_id, name = path.substr(slash + 1), size_bytes, offset, length = out.size()] {
        auto bytes = storages_.read(storage_id, name, size_bytes, offset, length);
        const std::lock_guard lock(call->mutex);
        call->bytes = std::move(bytes);
        call->done.notify_all();
      });
  if (!posted) call->bytes = fail(ErrorCode::kUnavailable, "too many requests wait for it");

  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = ++last_number_;
    waiting_.emplace(number, Clock::now());
  }
  const auto outcome = [&]() -> Result<> {
    std::unique_lock lock(call->mutex);
    while (!call->done.wait_for(lock, kLookInterval, [&] { return call->bytes.has_value(); })) {
      if (stopped_) return fail(ErrorCode::kUnavailable, "the server stops");
      if (is_cancelled()) return fail(ErrorCode::kTimeout, "The query was stopped");
      if (may_stay(number)) continue;
      return fail(ErrorCode::kUnavailable, "too many statements wait for it");
    }
    if (!*call->bytes) return fail(call->bytes->error());
    std::ranges::copy(**call->bytes, out.begin());
    return {};
  }();
  {
    const std::lock_guard lock(mutex_);
    waiting_.erase(number);
  }
  if (outcome || outcome.error().code == ErrorCode::kTimeout) return outcome;
  // What exactly is the matter is not for every user's eyes.
  log::error("storage '{}': {}", storage_id, outcome.error().message);
  return fail(ErrorCode::kUnavailable,
              "Rows that lie in storage '" + storage_id + "' cannot be read now; try again later");
}

}  // namespace kalamdb::storage
