-- Counts the attempts of batches that the first version has begun: only later changes of attempts reach the sums by the trigger.
UPDATE all_attempts SET counts_usd = counts_usd;    -- the trigger derives what each takes of the budget
DELETE FROM all_usage;
INSERT INTO all_usage (batch, runs, memory_mbytes, committed_usd)
SELECT batch, COUNT(*) FILTER (WHERE state IN ('intent', 'unconfirmed', 'started', 'adopted')),
    COALESCE(SUM(claim_mbytes) FILTER (WHERE state IN ('intent', 'unconfirmed', 'started', 'adopted')), 0),
    SUM(counts_usd)
FROM all_attempts GROUP BY batch;
