// Time as a seam: the system's clocks, or one that a test moves by hand.
#pragma once

#include <atomic>
#include <cstdint>

namespace kalamdb::platform {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock: microseconds since the Unix epoch, UTC. May step back.
  virtual int64_t now_us() const = 0;
  // Microseconds since some fixed moment; never steps back. For durations and deadlines.
  virtual int64_t monotonic_us() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t now_us() const override;
  int64_t monotonic_us() const override;
};

// Stands still until it is moved.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t now_us) : now_us_(now_us) {}
  int64_t now_us() const override { return now_us_.load(); }
  int64_t monotonic_us() const override { return monotonic_us_.load(); }

  // Steps the wall clock, back or forward; the monotonic clock does not notice.
  void set_now_us(int64_t now_us) { now_us_.store(now_us); }
  // Lets time pass on both clocks; `duration_us` is not negative.
  void advance_us(int64_t duration_us) {
    now_us_.fetch_add(duration_us);
    monotonic_us_.fetch_add(duration_us);
  }

 private:
  std::atomic<int64_t> now_us_;
  std::atomic<int64_t> monotonic_us_{0};
};

}  // namespace kalamdb::platform
