// JSON bodies of the HTTP endpoints: any bytes give a value or an error.
#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/auth_messages.h"
#include "protocol/sql_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  (void)kalamdb::protocol::parse_sql_request(body);
  (void)kalamdb::protocol::parse_params(body);
  (void)kalamdb::protocol::parse_login(body);
  (void)kalamdb::protocol::parse_setup(body);
  return 0;
}
