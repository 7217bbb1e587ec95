-- All metrics by epoch of an entry's trials. $1 entry, $2 profile. Columns: arm, seed, stage, split, metric, epoch (from 1), value.
SELECT c.arm, c.seed, c.stage, m.split, m.metric, m.epoch, m.value
FROM chains c JOIN metrics m USING (stage_id) WHERE c.entry = $1 AND c.profile = $2
ORDER BY c.arm_position, c.seed, c.position, m.split, m.metric, m.epoch
