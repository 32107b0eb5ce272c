"""What makes it a study: recipes, reports, records, tables, comparisons, figures and pages."""
