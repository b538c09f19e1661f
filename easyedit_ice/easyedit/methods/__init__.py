"""EasyEdit's own methods: what each needs to be run side by side with ours."""
