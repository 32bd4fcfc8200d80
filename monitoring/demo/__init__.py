"""`graft demo drift`: a served model meets other pictures, and the loop is closed: found, learned, pushed, recovered."""
