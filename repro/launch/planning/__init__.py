"""From requests to a sealed plan: laid out, priced, admitted, stored."""
