// Sends batches of an import on several connections.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/import_batch.h"
#include "cli/import_report.h"
#include "cli/session.h"

namespace kalamdb::cli {

// A bounded queue and one thread for each connection. A refused batch is halved until the refused rows stand alone,
// which go to the report; a busy server (429, 503) is asked again after a pause.
class ImportSender {
 public:
  // Borrows `session` and `report`. `repeatable`: a statement whose answer was lost may be sent again, because it
  // leaves out what is there already.
  ImportSender(Session& session, ImportReport& report, size_t connections, bool repeatable);
  ~ImportSender();
  ImportSender(const ImportSender&) = delete;
  ImportSender& operator=(const ImportSender&) = delete;

  // Waits while the queue is full. Dropped without effect after a failure.
  void send(Batch batch);
  bool failed() const;
  // Waits until everything is sent. The error that ended the import, if one did: it says what all further rows would
  // have met as well.
  Result<> finish();

 private:
  struct Answer {
    bool refused = false;
    uint64_t inserted = 0;
    std::string code;
    std::string message;
  };

  void work();
  void send_range(HttpClient& client, const Batch& batch, size_t first, size_t last);
  Result<Answer> execute(HttpClient& client, std::string_view sql);
  void set_failure(Error error);

  Session& session_;
  ImportReport& report_;
  const size_t max_queued_;
  const bool repeatable_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> queue_;
  bool closed_ = false;
  std::optional<Error> failure_;
  std::vector<std::jthread> threads_;
};

// The column that a message of the server names ("… column 'body' …"); empty when it names none.
std::string_view column_in_message(std::string_view message);

}  // namespace kalamdb::cli
