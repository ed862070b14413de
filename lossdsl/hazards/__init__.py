"""What may go wrong in training, found before it: intervals of values, and ways of gradients."""
