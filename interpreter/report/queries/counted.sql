-- How many examples each stage that measures one split measured, NULL where only numbers came. $1 entry, $2 profile.
SELECT c.arm, c.seed, c.stage, max(e.examples) AS n
FROM chains c JOIN epochs e USING (stage_id)
WHERE c.entry = $1 AND c.profile = $2 AND c.kind IN ('evaluate', 'combine', 'import') GROUP BY c.arm, c.seed, c.stage
