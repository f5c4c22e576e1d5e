-- name: select_pool_starts
-- Lists the starts of jobs in pools after an instant of the platform, given-up ones too.
SELECT demand, intent_at, platform_at FROM attempts JOIN jobs ON seq = job_seq
WHERE reused_from IS NULL AND CAST(demand AS json) ->> 'pools' IS NOT NULL
    AND (platform_at IS NULL OR platform_at > :since)
UNION ALL SELECT demand, since, since FROM given_up JOIN jobs ON seq = job_seq
WHERE CAST(demand AS json) ->> 'pools' IS NOT NULL AND since > :since;
