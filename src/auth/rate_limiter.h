// Token buckets by key: an address, a user. A bucket fills by `per_second` each second up to one second's worth.
#pragma once

#include <cstdint>
#include <string_view>

#include "auth/generational_cache.h"
#include "platform/clock.h"

namespace kalamdb::auth {

// Thread-safe. Remembers a bounded number of keys; one that was forgotten starts with a full bucket.
class RateLimiter {
 public:
  // `per_second` 0 lets everything pass. `clock` must outlive it.
  RateLimiter(const platform::Clock& clock, uint32_t per_second, size_t max_keys = 65'536);
  // Takes one token from the key's bucket; false when it is empty.
  bool admit(std::string_view key);

 private:
  struct Bucket {
    double tokens = 0;
    int64_t filled_at_us = 0;
  };
  const platform::Clock& clock_;
  const uint32_t per_second_;
  GenerationalCache<Bucket> buckets_;
};

}  // namespace kalamdb::auth
