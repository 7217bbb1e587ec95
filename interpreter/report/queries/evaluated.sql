-- What evaluate stages measured, a value a trial; on the page a stage's name is its split's. $1 entry, $2 profile.
SELECT c.arm, c.seed, c.stage AS split, f.metric, f.last AS value
FROM chains c JOIN finals f USING (stage_id)
WHERE c.entry = $1 AND c.profile = $2 AND c.as_split IS NOT NULL ORDER BY c.arm_position, c.seed, c.stage, f.metric
