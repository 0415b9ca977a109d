-- One load: arguments after -- are "body" for a POST of a megabyte, else a GET.
-- What came of it is printed as JSON, in a line of its own.

function init(args)
	if args[1] == "body" then
		wrk.method = "POST"
		wrk.headers["Content-Type"] = "text/plain"
		wrk.body = string.rep("0123456789abcde\n", 65536)
	end
end

function done(summary, latency)
	local e = summary.errors
	io.write(string.format('\nRESULT {"calls":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d,"late":%d}\n',
		summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
		e.status, e.connect + e.read + e.write, e.timeout))
end
