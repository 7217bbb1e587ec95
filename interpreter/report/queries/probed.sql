-- Every metric of every checkpoint that a probe looked at, at the best epoch of its head, a value a trial. $1 entry, $2 profile.
SELECT c.arm, c.seed, c.stage, k.checkpoint, k.trained, k.epoch, k.picked, p.split, p.metric, p.value
FROM chains c JOIN candidates k USING (stage_id)
JOIN probes p ON p.stage_id = k.stage_id AND p.checkpoint = k.checkpoint AND p.epoch = k.epoch
WHERE c.entry = $1 AND c.profile = $2 ORDER BY c.arm_position, c.seed, c.position, k.position, p.split, p.metric
