-- name: select_pool_starts
-- Lists the starts of jobs in pools after an instant of the platform, given-up ones too.
SELECT demand, intent_at, platform_at FROM attempts JOIN jobs ON seq = job_seq
WHERE reused_from IS NULL AND CAST(demand AS json) ->> 'pools' IS NOT NULL
    AND (platform_at IS NULL OR platform_at > :since)
UNION ALL SELECT demand, since, since FROM given_up JOIN jobs ON seq = job_seq
WHERE CAST(demand AS json) ->> 'pools' IS NOT NULL AND since > :since;

-- name: insert_intent
-- Writes the intent to start a run, with a number for its send that none has had, and reads its job.
INSERT INTO attempts (job_seq, number, state, owner, intent_at, platform_at, reserved_usd, remedy,
    resurrects, send, mark, caps_itself)
SELECT seq, CAST(:number AS integer), 'intent', CAST(:owner AS text), CAST(:intent_at AS text), CAST(:platform_at AS text), CAST(:reserved_usd AS text),
    remedy, CAST(remedy AS json) ->> 'resurrects', send, CAST(:stem AS text) || send || CAST(:word AS text), CAST(:caps_itself AS integer)
FROM (SELECT seq, remedy, 1 + COALESCE((SELECT MAX(send) FROM given_up
    WHERE job_seq = :seq AND number = :number), 0) AS send FROM jobs WHERE seq = :seq) AS job
RETURNING remedy, send, mark,
    (SELECT definition FROM jobs WHERE seq = attempts.job_seq) AS definition;
