-- assert: the outcomes sum to the requests
select
    run_id,
    attempt,
    requests,
from curated.runs
where
    requests <> requests_ok
    + requests_http_error
    + requests_connect_error
    + requests_timeout
    + requests_truncated
    + requests_malformed
    + requests_empty
    + requests_cancelled
    + requests_interrupted;
