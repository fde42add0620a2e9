//! The tables, by what is peculiar about their sources.

mod colours;
mod containers;
mod fields;
mod oddities;
mod products;
mod rates;
mod shapes;
mod sounds;
