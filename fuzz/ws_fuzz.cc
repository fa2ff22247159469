// WebSocket messages: any bytes give a message or an error that fits a close frame.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "protocol/live_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto message =
      kalamdb::protocol::parse_client_message(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!message) KALAM_ASSERT(message.error().message.size() <= 123);
  return 0;
}
