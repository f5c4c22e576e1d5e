-- name: select_pool_starts
-- Lists the starts of jobs in pools after an instant of the platform, given-up ones too.
SELECT demand, intent_at, platform_at FROM attempts JOIN jobs ON seq = job_seq
WHERE reused_from IS NULL AND json_extract(demand, '$.pools') IS NOT NULL
    AND (platform_at IS NULL OR platform_at > :since)
UNION ALL SELECT demand, since, since FROM given_up JOIN jobs ON seq = job_seq
WHERE json_extract(demand, '$.pools') IS NOT NULL AND since > :since;

-- name: insert_intent
-- Writes the intent to start a run, with a number for its send that none has had, and reads its job.
INSERT INTO attempts (job_seq, number, state, owner, intent_at, platform_at, reserved_usd, remedy,
    resurrects, send, mark, caps_itself)
VALUES (:seq, :number, 'intent', :owner, :intent_at, :platform_at, :reserved_usd,
    (SELECT remedy FROM jobs WHERE seq = :seq),
    (SELECT json_extract(remedy, '$.resurrects') FROM jobs WHERE seq = :seq),
    1 + COALESCE((SELECT MAX(send) FROM given_up WHERE job_seq = :seq AND number = :number), 0),
    :stem || (1 + COALESCE((
        SELECT MAX(send) FROM given_up WHERE job_seq = :seq AND number = :number), 0)) || :word,
    :caps_itself)
RETURNING remedy, send, mark,
    (SELECT definition FROM jobs WHERE seq = attempts.job_seq) AS definition;
