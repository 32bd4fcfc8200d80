"""`graft demo drift`: a served model meets other pictures; this is found, learned and pushed."""
