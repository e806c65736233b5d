-- What each connection of wrk does: send the requests of the file BODIES, one a line, again and again.
-- With CHECK set it also looks into each answer for errors, which costs too much while something is measured.

local threads, requests, sent = {}, {}, 0
errors = 0

function setup(thread)
  table.insert(threads, thread)
end

function init()
  local headers = {
    ["content-type"] = "application/json",
    ["accept"] = "application/graphql-response+json",
    ["authorization"] = os.getenv("AUTHORIZATION"),
  }
  for body in io.lines(os.getenv("BODIES")) do
    table.insert(requests, wrk.format("POST", nil, headers, body))
  end
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

if os.getenv("CHECK") then
  function response(status, headers, body)
    if body:find('"errors":', 1, true) then
      errors = errors + 1
    end
  end
end

function done(summary, latency)
  local failed = summary.errors
  local failures = failed.connect + failed.read + failed.write + failed.status + failed.timeout
  for _, thread in ipairs(threads) do
    failures = failures + thread:get("errors")
  end
  print(string.format(
    'MEASURED {"requests": %d, "seconds": %.6f, "failures": %d, "p50": %.3f, "p99": %.3f}',
    summary.requests, summary.duration / 1e6, failures, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
  ))
end
