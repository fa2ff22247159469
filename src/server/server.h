// The composition root: owns every service, hands each the few it needs, starts them from the bottom up and stops them
// from the top down.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/config.h"

namespace kalamdb::server {

class Server {
 public:
  // Opens the database, recovers, and listens. Errors: one line with the reason.
  static Result<std::unique_ptr<Server>> start(const Config& config);
  ~Server();

  // Where it listens: "http://127.0.0.1:8080".
  std::string url() const;
  // What the operator has to do before anyone can log in; empty when nothing.
  std::string setup_hint() const;
  // Ends gracefully: no new requests, running ones finish, jobs pause, the log is closed. The second call does nothing.
  void stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace kalamdb::server
