-- Learning rates by epoch, as lists. $1 entry, $2 profile, $3 arms and $4 stages (in step), $5 seeds (NULL: all).
WITH wanted AS (SELECT unnest($3::VARCHAR[]) AS arm, unnest($4::VARCHAR[]) AS stage)
SELECT t.arm, t.stage, t.seed, t."group", list(t.epoch ORDER BY t.epoch) AS epochs, list(t.rate ORDER BY t.epoch) AS rates
FROM schedule_trace t SEMI JOIN wanted w ON w.arm = t.arm AND w.stage = t.stage
WHERE t.entry = $1 AND t.profile = $2 AND ($5::INTEGER[] IS NULL OR list_contains($5::INTEGER[], t.seed))
GROUP BY ALL ORDER BY t.arm, t.stage, t.seed, min(t.epoch), t."group"
