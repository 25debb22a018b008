"""What a node does: look, plan, launch, carry out, beat, recover."""
