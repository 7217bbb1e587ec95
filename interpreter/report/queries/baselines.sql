-- What trivial rules reach, by arm, stage and rule. $1 entry, $2 profile.
SELECT c.arm, c.stage, b.rule, coalesce(c.as_split, b.split) AS split, b.metric, avg(b.value) AS value, min(b.value) AS low, max(b.value) AS high
FROM chains c JOIN baselines b USING (stage_id) WHERE c.entry = $1 AND c.profile = $2 AND isfinite(b.value)
GROUP BY ALL ORDER BY ALL
