-- The data that an entry's stages read, each once. $1 entry, $2 profile.
SELECT DISTINCT d.dataset, d.source, coalesce(d.fingerprint, '') AS fingerprint, d.origin
FROM chains c JOIN datasets d USING (stage_id) WHERE c.entry = $1 AND c.profile = $2 ORDER BY ALL
