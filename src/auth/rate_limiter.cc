#include "auth/rate_limiter.h"

#include <algorithm>

namespace kalamdb::auth {

RateLimiter::RateLimiter(const platform::Clock& clock, uint32_t per_second, size_t max_keys)
    : clock_(clock), per_second_(per_second), buckets_(max_keys) {}

bool RateLimiter::admit(std::string_view key) {
  if (per_second_ == 0) return true;
  const int64_t now_us = clock_.monotonic_us();
  const double full = per_second_;
  return buckets_.with(
      key,
      [&] {
        return Bucket{full, now_us};
      },
      [&](Bucket& bucket) {
        const double refill = static_cast<double>(now_us - bucket.filled_at_us) * full / 1e6;
        bucket.tokens = std::min(full, bucket.tokens + std::max(0.0, refill));
        bucket.filled_at_us = now_us;
        if (bucket.tokens < 1) return false;
        bucket.tokens -= 1;
        return true;
      });
}

}  // namespace kalamdb::auth
