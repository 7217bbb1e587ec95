-- What evaluate stages measured, a value a trial. $1 entry, $2 profile.
SELECT c.arm, c.seed, f.split, f.metric, f.last AS value
FROM chains c JOIN stages s USING (stage_id) JOIN finals f USING (stage_id)
WHERE c.entry = $1 AND c.profile = $2 AND s.kind = 'evaluate' ORDER BY c.arm_position, c.seed, f.split, f.metric
