# To be written.
{}
