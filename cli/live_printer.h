// Reads the server's subscription messages: prints them, and keeps what is needed to go on after a lost connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/live.h"

namespace kalamdb::cli {

// What the connection has to do after a message.
enum class LiveAction {
  kNone,
  kSubscribe,  // logged in: send subscribe_message()
  kNextBatch,  // send next_batch_message()
  kReady,      // the snapshot is complete
  kRestart,    // the cursor is too old: subscribe afresh
  kDone,       // as many changes as were asked for
  kFailed,     // the server ended or refused it
};

class LivePrinter {
 public:
  LivePrinter(const Subscription& subscription, const LiveOptions& options, std::string id)
      : subscription_(subscription), options_(options), id_(std::move(id)) {}

  // One message, a JSON text.
  LiveAction handle(std::string_view message);

  // The messages to send. A subscription that has seen rows asks for what came after them.
  std::string subscribe_message() const;
  std::string next_batch_message() const;

  // To be called when a connection is lost, before the next subscribe_message(): what comes again is left out.
  void resume() { resume_seq_ = last_seq_; }
  void forget_cursor() { resume_seq_ = last_seq_ = 0; }

 private:
  struct Message;

  LiveAction handle_batch(const Message& message);
  LiveAction handle_change(const Message& message);
  LiveAction handle_error(const Message& message);
  void print_line(std::string_view text) const;

  const Subscription& subscription_;
  const LiveOptions& options_;
  std::string id_;
  int64_t last_seq_ = 0;    // the greatest seen
  int64_t resume_seq_ = 0;  // rows up to this one have been shown
  int64_t batch_cursor_ = 0;
  int64_t changes_ = 0;
};

}  // namespace kalamdb::cli
