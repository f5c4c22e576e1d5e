-- The batches that were deleted after they were published: other machines may have folders of them.
CREATE TABLE deleted_batches (
    id         text COLLATE "C" PRIMARY KEY,
    deleted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
