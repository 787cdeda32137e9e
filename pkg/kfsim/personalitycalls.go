package kfsim

// callDefaults fills in what the calls around accounts, customers, figures, knowledge and media need.
func (p *Personality) callDefaults() {
	for _, f := range []struct {
		field *int
		def   int
	}{
		{&p.MissingUserCode, 40058},
		{&p.AccountLimit, 5000},
		{&p.UnverifiedAccountLimit, 10},
		{&p.ServicerLimit, 2000},
		{&p.DepartmentLimit, 20},
		{&p.ServicerLimitCode, 40058},
		{&p.HiddenMemberCode, 60011},
		{&p.UnknownDepartmentCode, 60003},
		{&p.UnverifiedCapacity, 100},
		{&p.VerifiedCapacity, 10_000},
		{&p.UpgradeRangeCode, 40058},
		{&p.StatisticCode, 40058},
		{&p.StatisticHour, 6},
		{&p.KnowledgeCode, 40058},
		{&p.MediaFieldCode, 44001},
		{&p.MediaGetsPerMinute, 100},
		{&p.ImagesPerDay, 1000},
		{&p.ImagesPerMonth, 3000},
		{&p.WrongMD5Code, 830003},
		{&p.DebugPerMinute, 5},
		{&p.OATokensPerDay, 2000},
		{&p.OAForcedPerDay, 20},
	} {
		or(f.field, f.def)
	}
}

// fits reports whether n things are within a limit; a negative limit is none.
func fits(n, limit int) bool { return limit < 0 || n <= limit }
