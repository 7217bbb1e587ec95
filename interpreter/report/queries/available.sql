-- Which metrics there are: a row for each arm, stage and metric that has a value. $1 entry, $2 profile.
SELECT DISTINCT arm, stage, coalesce(as_split, split) AS split, metric FROM chains JOIN finals USING (stage_id)
WHERE entry = $1 AND profile = $2 ORDER BY ALL
