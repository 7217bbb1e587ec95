-- All metrics by epoch of an entry's trials, splits as the page calls them. $1 entry, $2 profile. Columns: arm, seed, stage, split, metric, epoch (from 1), value.
SELECT c.arm, c.seed, c.stage, coalesce(c.as_split, m.split) AS split, m.metric, m.epoch, m.value
FROM chains c JOIN metrics m USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
ORDER BY c.arm_position, c.seed, c.position, split, m.metric, m.epoch
